"""Random generators: design spaces, what a model computes, and the pictures that it renders."""
