"""A page of many images that can be filtered, sorted and looked at closely."""
