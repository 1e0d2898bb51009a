"""The REST API under /<context>/api/v1/."""
