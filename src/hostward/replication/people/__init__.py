"""What people on one server ask of the others: to be known there, their own password and favourites, not to wait."""
