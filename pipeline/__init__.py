"""T-method vs attention: must the weights be learned by deep learning at all?"""
