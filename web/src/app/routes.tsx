import { createBrowserRouter } from 'react-router';
import { Broken } from '../components/common/Broken';
import { NotFound } from '../components/common/NotFound';
import { Shell } from './Shell';

export const router = createBrowserRouter([
  {
    element: <Shell />,
    errorElement: <Broken />,
    children: [
      {
        index: true,
        lazy: async () => ({
          Component: (await import('../components/workflows/WorkflowsPage')).WorkflowsPage,
        }),
      },
      {
        path: 'workflows/:id',
        lazy: async () => ({ Component: (await import('../components/workflow/BuilderPage')).BuilderPage }),
      },
      {
        path: 'workflows/:id/runs',
        lazy: async () => ({ Component: (await import('../components/runs/RunsPage')).RunsPage }),
      },
      {
        path: 'workflows/:id/versions',
        lazy: async () => ({
          Component: (await import('../components/versions/VersionsPage')).VersionsPage,
        }),
      },
      {
        path: 'runs',
        lazy: async () => ({ Component: (await import('../components/runs/RunsPage')).RunsPage }),
      },
      {
        path: 'runs/:id',
        lazy: async () => ({ Component: (await import('../components/runs/RunPage')).RunPage }),
      },
      {
        path: 'approvals',
        lazy: async () => ({
          Component: (await import('../components/approvals/ApprovalsPage')).ApprovalsPage,
        }),
      },
      {
        path: 'triggers',
        lazy: async () => ({ Component: (await import('../components/triggers/TriggersPage')).TriggersPage }),
      },
      {
        path: 'agents',
        lazy: async () => ({ Component: (await import('../components/agents/AgentsPage')).AgentsPage }),
      },
      {
        path: 'agents/:name',
        lazy: async () => ({ Component: (await import('../components/agents/AgentPage')).AgentPage }),
      },
      {
        path: 'usage',
        lazy: async () => ({ Component: (await import('../components/usage/UsagePage')).UsagePage }),
      },
      {
        path: 'settings',
        lazy: async () => ({ Component: (await import('../components/settings/SettingsPage')).SettingsPage }),
      },
      { path: '*', Component: NotFound },
    ],
  },
]);
