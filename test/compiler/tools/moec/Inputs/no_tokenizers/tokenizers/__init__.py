raise ImportError("this package stands in the way of the real one")
