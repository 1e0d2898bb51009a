"""Every check on a server and its group, each finding with its remedy."""
