"""Everything grader knows of a layer: shape, parameters, receptive field, and how a report lists it."""
