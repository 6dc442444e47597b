"""S3 and compatible object stores through boto3, with every address checked before it is connected to."""
