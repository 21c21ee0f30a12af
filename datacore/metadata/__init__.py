"""The cluster's metadata: an image that is the replay of __cluster_metadata."""
