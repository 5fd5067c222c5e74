"""A page of many images to filter, sort and look at closely."""
