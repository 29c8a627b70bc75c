import { Button } from '@mantine/core';
import type { Opened } from '../../services/api';
import type { WorkflowVersionLine } from '../../services/schema';
import { ago, by, instant } from '../../utils/time';

interface Props {
  draft: Opened | null;
  versions: WorkflowVersionLine[];
  shown: string;
  mayRestore: boolean;
  onShow: (version: string) => void;
  onRestore: (version: number) => void;
}

/** The draft and all versions, newest first: who published what, when, and what runs of it are open. */
export function VersionList({ draft, versions, shown, mayRestore, onShow, onRestore }: Props) {
  return (
    <ol className="version-list" aria-label="Versions">
      {draft && (
        <li className="version" data-shown={shown === 'draft'}>
          <button
            type="button"
            className="version-open"
            aria-current={shown === 'draft'}
            onClick={() => onShow('draft')}
          >
            <strong>Draft</strong>
            <span title={instant(draft.updatedAt)}>
              saved {ago(draft.updatedAt)}
              {by(draft.author)}
            </span>
          </button>
        </li>
      )}
      {versions.map((line) => {
        const isShown = shown === String(line.version);
        return (
          <li key={line.version} className="version" data-shown={isShown}>
            <button
              type="button"
              className="version-open"
              aria-current={isShown}
              onClick={() => onShow(String(line.version))}
            >
              <strong>Version {line.version}</strong>
              <span title={instant(line.created_at)}>
                {ago(line.created_at)}
                {by(line.author)}
              </span>
              {line.note && <span className="version-note">{line.note}</span>}
              {line.open_runs > 0 && (
                <span>{line.open_runs === 1 ? '1 open run' : `${line.open_runs} open runs`}</span>
              )}
              {line.problems.length > 0 && (
                <span className="version-bad">has problems, can’t be started</span>
              )}
            </button>
            {mayRestore && (
              <Button
                size="compact-xs"
                variant="default"
                aria-label={`Restore version ${line.version}`}
                onClick={() => onRestore(line.version)}
              >
                Restore
              </Button>
            )}
          </li>
        );
      })}
    </ol>
  );
}
