"""What bringing generators and data sets over REST has in common."""
