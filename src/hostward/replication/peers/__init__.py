"""What servers say to one another, and how it is kept secret and true."""
