"""From graph to graph: folding, channel groups, lowering."""
