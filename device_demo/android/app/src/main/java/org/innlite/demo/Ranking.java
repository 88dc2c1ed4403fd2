package org.innlite.demo;

/** The classes with the highest scores, best first. */
final class Ranking {
    final String[] labels;
    /** Of 1. */
    final double[] shares;
    /** Index of the best class. */
    final int best;

    /** @throws InnException there are no scores, or some are not finite */
    Ranking(float[] scores, String[] names, int most) throws InnException {
        double[] all = shares(scores);
        int count = Math.min(most, all.length);
        labels = new String[count];
        shares = new double[count];
        boolean[] taken = new boolean[all.length];
        int first = 0;
        for (int i = 0; i < count; i++) {
            int at = -1;
            for (int k = 0; k < all.length; k++) {
                if (!taken[k] && (at < 0 || all[k] > all[at])) {
                    at = k;
                }
            }
            taken[at] = true;
            labels[i] = at < names.length ? names[at] : "class " + at;
            shares[i] = all[at];
            first = i == 0 ? at : first;
        }
        best = first;
    }

    /** The softmax, unless the network ends in one. */
    private static double[] shares(float[] scores) throws InnException {
        if (scores.length == 0) {
            throw new InnException("The network's output is empty.");
        }
        double least = Double.POSITIVE_INFINITY;
        double most = Double.NEGATIVE_INFINITY;
        double sum = 0;
        for (float score : scores) {
            if (Float.isNaN(score) || Float.isInfinite(score)) {
                throw new InnException("The network's output is not finite.");
            }
            least = Math.min(least, score);
            most = Math.max(most, score);
            sum += score;
        }
        boolean shared = least >= 0 && Math.abs(sum - 1) < 1e-3;
        double[] result = new double[scores.length];
        double total = 0;
        for (int i = 0; i < result.length; i++) {
            result[i] = shared ? scores[i] : Math.exp(scores[i] - most);
            total += result[i];
        }
        for (int i = 0; i < result.length; i++) {
            result[i] = shared ? result[i] : result[i] / total;
        }
        return result;
    }
}
