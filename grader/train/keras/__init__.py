"""Training by Keras: networks built from records, and Keras's `fit`."""
