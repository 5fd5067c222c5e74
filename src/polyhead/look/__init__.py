"""From arrays and tables to numbers and pages. Knows no network."""
