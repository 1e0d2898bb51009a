"""What was submitted on a Slave, on its way to the Master and decided there."""
