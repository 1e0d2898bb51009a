"""Who is the Master: epochs, promotion, and what a promotion leaves behind."""
