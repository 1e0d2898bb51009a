"""What proves a server: certificates and the passphrase, and how they are changed in a running group."""
