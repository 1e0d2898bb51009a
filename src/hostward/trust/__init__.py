"""Who a server is and whom it believes: identity, certificate stores, envelopes, passphrase, TLS."""
