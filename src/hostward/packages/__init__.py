"""The packages' files in deploy/packages: looking into them, keeping them, and whether one is what it should be."""
