package org.innlite.demo;

/** What the network says of a picture at the chosen size and at full size. */
final class Answer {
    final Side chosen;
    final Side full;

    Answer(Side chosen, Side full) {
        this.chosen = chosen;
        this.full = full;
    }

    boolean agrees() {
        return chosen.ranking.best == full.ranking.best;
    }

    /** One size's answer, and its latency over the last runs. */
    static final class Side {
        final Size size;
        final Ranking ranking;
        final long bytes;
        final double resample;
        final double build;
        final double p50;
        final double p95;
        final int runs;

        Side(Size size, Ranking ranking, Model model, Latencies latencies) {
            this.size = size;
            this.ranking = ranking;
            bytes = model.bytes();
            resample = model.resampleMilliseconds();
            build = model.buildMilliseconds();
            p50 = latencies.p50();
            p95 = latencies.p95();
            runs = latencies.count();
        }
    }
}
