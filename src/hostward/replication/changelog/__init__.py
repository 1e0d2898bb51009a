"""How a change gets from the Master to every Slave: published, acknowledged, followed, compared."""
