/** The API without its routes: how a request is sent. Routes are generated into `schema.ts`. */
import { createApi } from '@reduxjs/toolkit/query/react';
import { send } from './send';

export const emptyApi = createApi({
  reducerPath: 'api',
  baseQuery: send,
  endpoints: () => ({}),
});
