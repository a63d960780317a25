"""x"""
def choose_liars(vehicles, scenario, rng): 
    pass
