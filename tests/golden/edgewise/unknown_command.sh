edgewise fly
