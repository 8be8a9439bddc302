"""Where facts come from: one module per API, behind one contract."""
