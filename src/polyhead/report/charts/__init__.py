"""Charts as Plotly figures, from plain numbers."""
