"""The infrastructure: what one stack decides, and later its resources on Pulumi."""
