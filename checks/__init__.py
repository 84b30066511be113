"""What is checked of the package as a whole: its dependencies, its wheel, its oldest neighbours."""
