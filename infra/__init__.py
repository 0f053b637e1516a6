"""The infrastructure: what one stack decides, and the resources it makes on Pulumi."""
