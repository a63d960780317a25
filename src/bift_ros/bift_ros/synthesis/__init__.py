"""Street scenes that are drawn: bags of pictures and labels where no camera is."""
