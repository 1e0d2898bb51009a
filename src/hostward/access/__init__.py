"""Who may use this server: its administrators' accounts, their passwords and tokens, and the brake on guessing."""
