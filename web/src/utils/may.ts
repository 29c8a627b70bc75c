import { useGetMeQuery } from '../services/api';

/** Whether the one who is signed in may do something: no button is shown that would be refused. */
export function useMay(): (permission: 'read' | 'operate' | 'edit' | 'administer') => boolean {
  const { data } = useGetMeQuery();
  return (permission) => data?.permissions.includes(permission) ?? false;
}
