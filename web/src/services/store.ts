/** The store: the workflow that is edited, and what the server said. */
import { configureStore } from '@reduxjs/toolkit';
import { useDispatch, useSelector, type TypedUseSelectorHook } from 'react-redux';
import { api } from './api';
import { workflow } from './state';

export const makeStore = () =>
  configureStore({
    reducer: { workflow, [api.reducerPath]: api.reducer },
    // They walk the whole state at each action; a drawing of a thousand nodes is too large for that.
    middleware: (usual) => usual({ serializableCheck: false, immutableCheck: false }).concat(api.middleware),
  });

export type Store = ReturnType<typeof makeStore>;
export type State = ReturnType<Store['getState']>;

export const useAct: () => Store['dispatch'] = useDispatch;
export const useSeen: TypedUseSelectorHook<State> = useSelector;
