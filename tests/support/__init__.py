"""What the end-to-end tests are made of: real servers, their REST API, whole groups, and the history checker."""
