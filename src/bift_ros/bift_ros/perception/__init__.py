"""From camera images and labels to a private dataset of traffic-light crops."""
