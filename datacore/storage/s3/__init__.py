"""The S3 engine: logs as objects of a bucket, ordered by conditional creates alone."""
