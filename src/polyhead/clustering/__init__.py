"""Groups the answers to many images, and shows what each group is."""
