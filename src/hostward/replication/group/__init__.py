"""Who belongs to the group, who may join, and how: decided by the Master alone."""
