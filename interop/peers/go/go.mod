module zaptools-interop-go

go 1.24.0

require (
	github.com/NathanDraco22/zaptools-go v0.2.3
	github.com/gorilla/websocket v1.5.3
)

require github.com/google/uuid v1.6.0 // indirect
