"""The Administrative Console: pages for administrators, over HTTPS, below /<context>/."""
