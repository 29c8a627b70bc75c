import { createRoot } from 'react-dom/client';
import { App } from './app/App';
import { secure } from './app/secure';
import { askTabs } from './services/credential';
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import '@xyflow/react/dist/style.css';
import './app/styles.css';

secure();
const root = document.getElementById('root');
if (root) void askTabs().then(() => createRoot(root).render(<App />));
