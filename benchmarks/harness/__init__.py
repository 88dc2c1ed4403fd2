"""What several studies share: results files, scoring, other engines."""
