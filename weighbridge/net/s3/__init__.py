"""S3 and compatible object stores through boto3, every address judged before it is connected to."""
