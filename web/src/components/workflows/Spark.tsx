import type { RunItem } from '../../services/schema';
import { between } from '../../utils/time';

const WIDTH = 6;
const GAP = 2;
const HEIGHT = 24;

/** A bar for each run, as high as it took long, in the colour of what became of it. */
export function Spark({ runs }: { runs: RunItem[] }) {
  const spans = runs.map((run) => ('started_at' in run ? (between(run.started_at, run.ended_at) ?? 0) : 0));
  const longest = Math.max(...spans, 1);
  const bars = runs.map((run, index) => ({ run, part: (spans[index] ?? 0) / longest })).reverse();
  return (
    <svg width={bars.length * (WIDTH + GAP)} height={HEIGHT} aria-hidden className="spark">
      {bars.map(({ run, part }, index) => {
        const height = Math.max(4, part * HEIGHT);
        return (
          <rect
            key={run.id}
            data-status={run.status}
            x={index * (WIDTH + GAP)}
            y={HEIGHT - height}
            width={WIDTH}
            height={height}
            rx={1}
          />
        );
      })}
    </svg>
  );
}
