import { useEffect } from 'react';
import { useCheckWorkflowMutation } from '../../services/api';
import { problemsFound } from '../../services/state';
import { useAct, useSeen } from '../../services/store';

/** So long after an edit the server is asked what is wrong, in milliseconds. */
const PAUSE_MS = 500;

/** Keeps the problems of the document up to date; the server finds them. */
export function useCheck(is: boolean): void {
  const act = useAct();
  const document = useSeen((state) => state.workflow.document);
  const [check] = useCheckWorkflowMutation();
  useEffect(() => {
    if (!is) return;
    let asked: ReturnType<typeof check> | undefined;
    const timer = setTimeout(() => {
      asked = check({ definition: document as never });
      void asked.then(({ data }) => {
        if (data)
          act(problemsFound(data.problems.map((problem) => ({ ...problem, node: problem.node ?? null }))));
      });
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      asked?.abort();
    };
  }, [act, check, document, is]);
}
