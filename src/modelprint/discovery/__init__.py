"""Images of models that nobody enrolled -> groups, one for each generator."""
