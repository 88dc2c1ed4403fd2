"""An export's work: kept while it lasts, shared between processes."""
