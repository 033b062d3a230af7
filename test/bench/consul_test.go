package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// keyValue implements the part of Consul's store that consul-template uses: one key, with a read that blocks until the value
// has changed (https://developer.hashicorp.com/consul/api-docs/features/blocking).
type keyValue struct {
	mu      sync.Mutex
	value   []byte
	index   int           // 0 means that there is no value yet
	changed chan struct{} // closed at the next change
}

func (k *keyValue) set(_ context.Context, value string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.value = []byte(value)
	k.index++
	if k.changed != nil {
		close(k.changed)
		k.changed = nil
	}
	return nil
}

// get returns the value, and a channel that is closed when the value changes.
func (k *keyValue) get() (value []byte, index int, changed <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed == nil {
		k.changed = make(chan struct{})
	}
	return k.value, k.index, k.changed
}

func (k *keyValue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	known, _ := strconv.Atoi(r.URL.Query().Get("index"))
	value, index, changed := k.get()
	if index+1 == known || index == 0 {
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-time.After(time.Minute):
		}
		value, index, _ = k.get()
	}
	w.Header().Set("X-Consul-Index", strconv.Itoa(index+1)) // must be above 0
	if index == 0 {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode([]map[string]any{{"Key": "haproxy.cfg", "Value": value, "ModifyIndex": index + 1, "LockIndex": 0, "Flags": 0}})
}
